import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { formatChannel, parseChannel } from '../base/name.ts'
import { readEnrolled } from '../engine/client/state.ts'
import type { Channel } from '../base/name.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Context } from './command.ts'

/** Kernels are products of their own, `kernel-NAME`; `kernel/ARCH` stands for that of the kernel that runs here. */

const word = 'kernel'
const productOf = (name: string): string => `${word}-${name}`

/** A channel as `enroll` takes it; what is written down is the channel with the kernel's name. */
export async function parseChannelOrKernel(context: Context, text: string): Promise<Channel> {
  const channel = parseChannel(text)
  if (channel.product !== word) return channel
  const hint = `name it: ${productOf('NAME')}/${channel.arch}`
  if (!isThisMachine(context)) {
    throw new BinderyError('usage', `'${text}' is the kernel that runs here, and not that of ${context.root}`, { hint })
  }
  const name = await context.kernel.name()
  if (name === undefined) throw new BinderyError('not-supported', `'${text}': this system does not tell the name of its kernel`, { hint })
  return parseChannel(`${productOf(name)}/${channel.arch}`)
}

/** An update of a kernel that is not in use changes nothing for whoever waits for it. */
export async function tellOtherKernel(context: Context, { disk }: Session): Promise<void> {
  if (!isThisMachine(context)) return
  const kernels = (await readEnrolled(disk)).map(({ channel }) => channel).filter(({ product }) => product.startsWith(productOf('')))
  const name = kernels.length === 0 ? undefined : await context.kernel.name()
  if (name === undefined || kernels.some(({ product }) => product === productOf(name))) return
  context.say(`the running kernel is ${name}, and this system follows ${kernels.map(formatChannel).join(', ')}`)
}

function isThisMachine({ root }: Context): boolean {
  return resolve(root) === '/'
}

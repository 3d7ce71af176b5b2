import { mkdir } from 'node:fs/promises'
import { resolve, join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { openLink } from '../engine/farm/remote/link.ts'
import { runBuilder } from '../engine/farm/remote/builder.ts'
import { decodePublicKey } from '../format/signify.ts'
import { systemWait } from '../host/ambient.ts'
import { hostArch } from '../host/arch.ts'
import { hostFarmPost } from '../host/farm-post.ts'
import { loadNow } from '../host/load.ts'
import { hostLocker } from '../host/lock.ts'
import { systemError } from '../host/system-error.ts'
import { buildOptions, plain, readBuildSettings } from './farm-build-plan.ts'
import { enrollBuilder } from './farm-builder-enroll.ts'
import { foundLeases } from './farm-builder-folder.ts'
import { forSlot, workOnLease } from './farm-builder-work.ts'
import { openFarmKey } from './farm-key.ts'
import { sharedFlags } from './flags.ts'
import { readKeyFile } from './signed-files.ts'
import { wholeOf } from './whole-number.ts'
import type { Link } from '../engine/farm/remote/link.ts'
import type { Command, Context, Input } from './command.ts'

export const farmBuilder: Command = {
  name: 'farm builder',
  summary: 'build for a farm on another machine',
  operands: '[URL]',
  operandCount: { min: 0, max: 1 },
  options: {
    seckey: { ...sharedFlags.seckey, help: 'the secret key of this builder' },
    pubkey: { ...sharedFlags.pubkey, help: "the controller's public key: controller.pub in the folder of the farm" },
    ca: { kind: 'value', value: 'FILE', help: 'the authority that the certificate of an https URL is from (PEM); no other is believed' },
    enroll: { kind: 'flag', help: 'make the key of this builder where there is none, and print what makes it known to the controller' },
    name: { kind: 'value', value: 'NAME', help: 'with --enroll: what the builder is called (default: the name of this machine)' },
    arch: { kind: 'value', value: 'ARCH', help: 'the architecture that it builds for (default: that of this machine)' },
    work: { kind: 'value', value: 'DIR', help: 'where builds and their logs are kept meanwhile (default: /var/db/bindery-builder)' },
    jobs: { kind: 'value', value: 'COUNT', help: 'how many builds at once (default: 1); %j in paths is the number of one' },
    ...buildOptions,
  },
  examples: [
    'bindery farm builder --enroll -s /etc/bindery/builder.sec',
    'bindery farm builder https://farm.example.org -s /etc/bindery/builder.sec -p /etc/bindery/controller.pub --prepare \'cvs -q up -Pd -r "$REVISION"\'',
    'bindery farm builder http://10.0.0.1:8080 -s builder.sec -p controller.pub --jobs 4 --sandbox overlay --root /build/7.6 --silence 3600',
  ],
  run: async (context, input) => {
    const [url] = input.operands
    if (input.flag('enroll')) return await enrollBuilder(context, input)
    if (url === undefined) throw new BinderyError('usage', 'the URL of the farm is missing')
    if (input.value('name') !== undefined) throw new BinderyError('usage', '--name goes with --enroll')
    const setup = await readSetup(context, input, url)
    const lock = await hostLocker(join(setup.work, '.lock')).take('farm builder')
    try {
      await build(context, input, setup)
      return 0
    } finally {
      await lock.release()
    }
  },
}

type Setup = { readonly url: string; readonly link: Link; readonly work: string; readonly arch: string; readonly slots: number }

async function readSetup(context: Context, input: Input, url: string): Promise<Setup> {
  const slots = wholeOf(input, 'jobs', 1, 1000) ?? 1
  const arch = plain(input.value('arch') ?? hostArch(), 'arch')
  checkSettings(context, input, { slots, arch })
  const post = hostFarmPost(url, context.environment, await authoritiesOf(input, url))
  const signer = await openFarmKey(input.required('seckey'))
  const controller = await readKeyFile(context, input.required('pubkey'), decodePublicKey)
  const { clock, random, say } = context
  const link = openLink({ post, signer, controller, clock, random, wait: systemWait, tell: say })
  return { url, link, arch, slots, work: await workFolder(input.value('work') ?? '/var/db/bindery-builder') }
}

async function authoritiesOf(input: Input, url: string): Promise<Buffer | undefined> {
  const file = input.value('ca')
  if (file === undefined) return undefined
  if (!url.startsWith('https:')) throw new BinderyError('usage', '--ca goes with an https URL')
  return (await import('../host/server-certificate.ts')).readAuthorities(file)
}

/** What is wrong with the flags is said before anything is taken. */
function checkSettings(context: Context, input: Input, { slots, arch }: { readonly slots: number; readonly arch: string }): void {
  const trees = [1, 2].map((slot) => readBuildSettings(context, forSlot(input, slot), { arch, output: '' }))
  const places = trees.map(({ batch, sandbox }) => sandbox?.root ?? batch.ports)
  if (slots > 1 && places[0] === places[1] && trees[0]?.sandbox?.kind !== 'overlay')
    throw new BinderyError('usage', '--jobs needs a place for each: --sandbox overlay, or %j in --ports or --root')
}

async function workFolder(folder: string): Promise<string> {
  try {
    await mkdir(join(folder, '.lock'), { recursive: true })
    return resolve(folder)
  } catch (cause) {
    throw systemError(cause, folder)
  }
}

async function build(context: Context, input: Input, { url, link, work, arch, slots }: Setup): Promise<void> {
  const found = foundLeases(work, slots)
  context.say(`builds for ${url}${found.length > 0 ? `, and goes on with ${found.length}` : ''}`)
  await runBuilder({
    link,
    wait: systemWait,
    slots,
    found,
    work: async (lease, slot, signal) => await workOnLease({ context, input, link, work, arch, lease, slot, signal }),
    load: loadNow,
    tell: context.say,
    signal: context.signal,
  })
}

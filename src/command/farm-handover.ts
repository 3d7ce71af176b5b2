import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { utf8Text } from '../base/utf8-text.ts'
import { handoverText } from '../engine/farm/sign/summary.ts'
import { openInput } from '../host/source.ts'
import { draftHandover, writeHandover } from './farm-handover-draft.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { Handover } from '../format/handover.ts'
import type { Command, Context, Input } from './command.ts'

export const farmHandover: Command = {
  name: 'farm handover',
  summary: 'make one request out of built packages, for whoever signs them',
  operands: 'BUILT...',
  operandCount: { min: 1, max: Infinity },
  options: {
    output: { ...sharedFlags.output, help: 'the request to write; nothing is written where there is nothing to sign' },
    last: { kind: 'value', value: 'DIR', help: 'what farm publish writes to: only what is new since is handed over' },
    selected: { kind: 'value', value: 'FILE', help: 'what farm select --json printed, to tell security updates' },
    json: { ...sharedFlags.json, help: 'print JSON instead of the summary, one package a line' },
  },
  examples: [
    'bindery farm handover built/amd64 built/arm64 --last /var/www/pub/OpenBSD -o request.tar',
    'bindery farm handover built --selected ports.json -o /media/usb/request.tar',
  ],
  run: async (context, input) => {
    const output = input.required('output')
    if (output === '-') throw new BinderyError('usage', '--output takes a file: stdout is for the summary')
    const security = await securityOf(context, input)
    const last = input.value('last')
    const draft = await draftHandover(context, { folders: input.operands, last, security, isWanted: () => true })
    const { handover } = draft
    if (handover.sets.length === 0) context.say('there is nothing to sign')
    else await writeHandover(context, output, draft)
    await tell(context, handover, input.flag('json'))
    return 0
  },
}

async function tell(context: Context, handover: Handover, json: boolean): Promise<void> {
  if (!json) return await print(context, handoverText(handover))
  for (const { release, arch, packages } of handover.sets)
    for (const one of packages) await print(context, `${JSON.stringify({ release, arch, ...one })}\n`)
}

const maxSelected = 64 << 20

/** By pkgpath: CVEs, and the subjects of commits that sound like it. */
async function securityOf(context: Context, input: Input): Promise<ReadonlyMap<string, readonly string[]>> {
  const file = input.value('selected')
  if (file === undefined) return new Map()
  const bytes = await collectBytes(await openInput(file, context.stdin), maxSelected)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxSelected} bytes`, { subject: file })
  return await about(file, () => new Map(utf8Text(bytes).split('\n').flatMap(selectedLine)))
}

function selectedLine(line: string, index: number): readonly (readonly [string, readonly string[]])[] {
  if (line === '') return []
  const wrong = new BinderyError('bad-format', `line ${index + 1} is not what farm select --json prints`)
  try {
    const record = JSON.parse(line) as { pkgpath?: unknown; security?: { cves?: unknown; because?: unknown } }
    if (typeof record.pkgpath !== 'string') throw wrong
    if (record.security === undefined) return []
    const texts = [record.security.cves, record.security.because].flat()
    if (!texts.every((text) => typeof text === 'string')) throw wrong
    return [[record.pkgpath, texts]]
  } catch (cause) {
    throw cause === wrong ? wrong : new BinderyError(wrong.code, wrong.message, { cause })
  }
}

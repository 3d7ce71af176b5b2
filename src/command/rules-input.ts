import { about } from '../base/about.ts'
import { collectBytes, fromLatin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { joinPath } from '../base/path.ts'
import { joinRules } from '../engine/update/rules.ts'
import { systemOf, systems, tellingFolders } from '../engine/update/system.ts'
import { decodeRules } from '../format/rules.ts'
import { readShared } from '../host/share.ts'
import { openInput } from '../host/source.ts'
import type { RuleSource, Rules } from '../engine/update/rules.ts'
import type { DiskReader } from '../port/disk.ts'
import type { Context, Input, Option } from './command.ts'

/** Which rules hold: those of a system, which are built in, and those of files on top. */

export const ruleOptions = {
  rules: { kind: 'list', value: 'FILE', help: 'rules of your own, on top of those that are built in; may be repeated' },
  system: {
    kind: 'value',
    value: 'SYSTEM',
    help: `whose rules hold: ${systems.join(', ')} or none (default: that of the tree)`,
  },
} as const satisfies Readonly<Record<string, Option>>

const maxRuleBytes = 1 << 20

/** Sources in the order in which they hold; `detected` where neither --system nor a file says which system it is. */
export async function rulesOf(context: Context, input: Input, detected: string | undefined): Promise<Rules> {
  const own: RuleSource[] = []
  for (const file of input.list('rules')) own.push(await readRules(context, file))
  const bases = own.flatMap(({ content }) => content.base ?? [])
  const given = input.value('system')
  const roots = given === undefined ? (bases.length > 0 ? bases : detected === undefined ? [] : [detected]) : [checked(given)]
  const builtIn = new Map<string, RuleSource>()
  for (const name of roots) await addBuiltIn(builtIn, name)
  return joinRules([...builtIn.values(), ...own])
}

function checked(system: string): string {
  if (system === 'none' || systems.includes(system)) return system
  throw new BinderyError('usage', `--system takes ${systems.join(', ')} or none, not '${system}'`)
}

async function readRules(context: Context, file: string): Promise<RuleSource> {
  const bytes = await collectBytes(await openInput(file, context.stdin), maxRuleBytes)
  if (bytes === undefined) throw new BinderyError('usage', `is larger than ${maxRuleBytes} bytes`, { subject: file })
  const content = await about(file, () => decodeRules(bytes))
  const known = content.base === undefined || ['none', 'unix', ...systems].includes(content.base)
  if (!known) throw new BinderyError('usage', `base is unix, ${systems.join(', ')} or none, not '${content.base ?? ''}'`, { subject: file })
  return { file, content }
}

/** Behind those that it builds upon. */
async function addBuiltIn(sources: Map<string, RuleSource>, name: string): Promise<void> {
  if (name === 'none' || sources.has(name)) return
  const content = decodeRules(fromLatin1(await readShared(`rules/${name}.toml`)))
  if (content.base !== undefined) await addBuiltIn(sources, content.base)
  sources.set(name, { file: name, content })
}

/** The system of a tree on disk, by a look into the folders that tell. */
export async function systemOfTree(disk: DiskReader): Promise<string | undefined> {
  const found = await Promise.all(
    tellingFolders.map(async (folder) => {
      if ((await disk.lstat(folder))?.kind !== 'dir') return []
      return (await disk.readdir(folder)).map((name) => joinPath(folder, name))
    }),
  )
  return systemOf(found.flat())
}

import { about } from '../base/about.ts'
import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { readSources } from '../engine/farm/read-sources.ts'
import { securityOf } from '../engine/farm/security.ts'
import { selectPorts } from '../engine/farm/select.ts'
import { decodeCveList } from '../format/cve-list.ts'
import { decodeRdiff } from '../format/cvs-rdiff.ts'
import { openInput } from '../host/source.ts'
import { cvsSource } from '../host/source-cvs.ts'
import { gitSource } from '../host/source-git.ts'
import { readSqlports } from '../host/sqlports.ts'
import { sharedFlags } from './flags.ts'
import type { Commit, SourceChange } from '../base/source-change.ts'
import type { Security } from '../engine/farm/security.ts'
import type { SelectedPort, Selection } from '../engine/farm/select.ts'
import type { SourceControl } from '../port/source-control.ts'
import type { Command, Context, Input } from './command.ts'

export const farmSelect: Command = {
  name: 'farm select',
  summary: 'say which packages are to be built anew after a ports tree changed',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    cvs: { kind: 'value', value: 'ROOT', help: 'ask this CVS repository, as cvs -d takes it' },
    git: { kind: 'value', value: 'DIR', help: 'ask this clone of git' },
    from: { kind: 'value', value: 'TAG', help: 'the state of the release' },
    to: { kind: 'value', value: 'TAG', help: 'the state of today' },
    rdiff: { kind: 'value', value: 'FILE', help: 'read what cvs rdiff -s printed instead; - is stdin' },
    module: { kind: 'value', value: 'NAME', help: 'the ports tree in the CVS repository (default: ports)' },
    sqlports: { kind: 'value', value: 'FILE', help: 'the database of all ports, for their flavors and subpackages' },
    arch: { kind: 'value', value: 'ARCH', help: 'leave out what this architecture cannot have' },
    cves: { kind: 'value', value: 'FILE', help: 'a list of CVEs and the pkgpaths that they are about' },
    explain: { kind: 'flag', help: 'say on stderr why each port is built, and what is left out' },
    json: { ...sharedFlags.json, help: 'print JSON, one port a line' },
  },
  examples: [
    'bindery farm select --cvs anoncvs@anoncvs.example.org:/cvs --from OPENBSD_7_6_BASE --to OPENBSD_7_6 --sqlports /usr/local/share/sqlports --arch amd64 >list',
    'cvs -q rdiff -s -r OPENBSD_7_6_BASE -r OPENBSD_7_6 ports | bindery farm select --rdiff -',
    'bindery farm select --git /var/ports.git --from release --to stable --json',
  ],
  run: async (context, input) => {
    const { changes, commits } = await changesOf(context, input)
    const sqlports = input.value('sqlports')
    const list = sqlports === undefined ? { ports: new Map<string, never>(), source: 'none' } : readSqlports(sqlports)
    const listed = await cvesOf(context, input)
    const selection = selectPorts(changes, list, input.value('arch'))
    if (input.flag('explain')) tellOthers(context, selection)
    for (const port of selection.ports) {
      const security = securityOf(new Set(port.paths), commits, listed.get(port.pkgpath) ?? [])
      if (input.flag('explain')) tellPort(context, port, security)
      if (port.packages.length === 0) context.say(`${port.pkgpath}: nothing of it can be built: ${port.left[0]?.why ?? ''}`)
      await context.out(
        input.flag('json') ? `${JSON.stringify(jsonOf(port, security))}\n` : port.packages.map((path) => `${path}\n`).join(''),
      )
    }
    return 0
  },
}

type Changes = { readonly changes: readonly SourceChange[]; readonly commits: readonly Commit[] }

async function changesOf(context: Context, input: Input): Promise<Changes> {
  const given = ['cvs', 'git', 'rdiff'].filter((name) => input.value(name) !== undefined)
  if (given.length !== 1) throw new BinderyError('usage', 'one of --cvs, --git and --rdiff says where the changes are from')
  const rdiff = input.value('rdiff')
  if (rdiff !== undefined) return { changes: await readRdiff(context, rdiff, moduleOf(input)), commits: [] }
  return await readSources(sourceOf(context, input), input.required('from'), input.required('to'))
}

function sourceOf(context: Context, input: Input): SourceControl {
  const clone = input.value('git')
  if (clone !== undefined) return gitSource(context.exec, clone)
  return cvsSource(context.exec, input.value('cvs'), moduleOf(input))
}

function moduleOf(input: Input): string {
  const module = input.value('module') ?? 'ports'
  if (module === '' || module.startsWith('-') || module.endsWith('/')) throw new BinderyError('usage', `'${module}' is no module of CVS`)
  return module
}

const maxListBytes = 64 << 20

async function readRdiff(context: Context, file: string, module: string): Promise<readonly SourceChange[]> {
  const bytes = await read(context, file)
  return await about(file, () =>
    decodeRdiff(bytes).map(({ kind, path }) => {
      if (!path.startsWith(`${module}/`)) throw new BinderyError('bad-format', `'${showPath(path)}' is not in the module '${module}'`)
      return { kind, path: path.slice(module.length + 1) }
    }),
  )
}

async function cvesOf(context: Context, input: Input): Promise<ReadonlyMap<string, readonly string[]>> {
  const file = input.value('cves')
  if (file === undefined) return new Map()
  const bytes = await read(context, file)
  return await about(file, () => decodeCveList(bytes))
}

async function read(context: Context, file: string): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, context.stdin), maxListBytes)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxListBytes} bytes`, { subject: file })
  return bytes
}

const unowned: Readonly<Record<Selection['others'][number]['why'], string>> = {
  infrastructure: 'the machinery of all ports; nothing is built for it',
  category: 'of a category, not of a port',
  top: 'of no category',
  removed: 'of a port that is gone',
}

function tellOthers(context: Context, { others }: Selection): void {
  for (const { path, why } of others) context.say(`${showPath(path)}: ${unowned[why]}`)
}

function tellPort(context: Context, { pkgpath, paths, how, left }: SelectedPort, security: Security | undefined): void {
  const why = { known: '', shared: ', which it shares with others', guessed: '; it is in no list of ports' }[how]
  const more = paths.length > 1 ? ` and ${paths.length - 1} more` : ''
  context.say(`${pkgpath}: ${showPath(paths[0] ?? '')}${more} changed${why}`)
  if (security !== undefined) context.say(`${pkgpath}: security: ${[...security.cves, ...security.because].join('; ')}`)
  for (const { fullpkgpath, why: reason } of left) context.say(`${fullpkgpath}: left out: ${reason}`)
}

function jsonOf(port: SelectedPort, security: Security | undefined): object {
  const { pkgpath, packages, how, left } = port
  return { pkgpath, packages, how, left, paths: port.paths.map(showPath), ...(security === undefined ? {} : { security }) }
}

import { BinderyError, isBinderyError } from '../base/error.ts'
import { decodePublicKey, decodePublicKeyLine, publicKeyLine } from '../format/signify.ts'
import { actorHere, askFarm } from './farm-ask.ts'
import { plain } from './farm-build-plan.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readKeyFile } from './signed-files.ts'
import { table } from './text-table.ts'
import { wholeOf } from './whole-number.ts'
import type { Builder, KnownBuilder } from '../port/farm-catalog.ts'
import type { Command, Context, Input } from './command.ts'

export const farmBuilders: Command = {
  name: 'farm builders',
  summary: 'say which machines may build for a farm',
  operands: 'FARM add|list|remove [NAME [KEY]]',
  operandCount: { min: 2, max: 4 },
  options: {
    arch: { kind: 'value', value: 'ARCH', help: 'add: the architecture that it builds for' },
    release: { kind: 'list', value: 'VERSION', help: 'add: build for this release; may be given again (default: for all)' },
    tag: { kind: 'list', value: 'TAG', help: 'add: what it has that branches may ask for; may be given again' },
    jobs: { kind: 'value', value: 'COUNT', help: 'add: how many builds it is given at once (default: 1)' },
    json: { ...sharedFlags.json, help: 'list: print JSON, one builder a line' },
  },
  examples: [
    'bindery farm builders /var/farm add sparc64-1 /tmp/sparc64-1.pub --arch sparc64 --release 7.6',
    'bindery farm builders /var/farm list --json',
    'bindery farm builders /var/farm remove sparc64-1',
  ],
  run: async (context, input) => {
    const [farm, what, name, key] = input.operands as [string, string, string?, string?]
    const asking = { farm, verb: 'farm builders' }
    switch (what) {
      case 'list':
        takes(what, [], name)
        await list(context, input, await askFarm(context, asking, 'builders'))
        return 0
      case 'add':
        if (name === undefined || key === undefined) throw new BinderyError('usage', 'add takes a name and a public key')
        await askFarm(context, asking, 'putBuilder', await builderOf(context, input, { name, key }), actorHere(context))
        return 0
      case 'remove':
        if (name === undefined) throw new BinderyError('usage', 'remove takes a name')
        takes(what, [name], key)
        await askFarm(context, asking, 'removeBuilder', name, actorHere(context))
        return 0
      default:
        throw new BinderyError('usage', `'${what}' is none of add, list and remove`)
    }
  },
}

function takes(what: string, known: readonly string[], next: string | undefined): void {
  if (next !== undefined) throw new BinderyError('usage', `${what} takes ${known.length === 0 ? 'no name' : 'a name alone'}`)
}

type Named = { readonly name: string; readonly key: string }

async function builderOf(context: Context, input: Input, { name, key }: Named): Promise<Builder> {
  return {
    name: plain(name, 'name'),
    publicKey: await keyOf(context, key),
    arch: plain(input.required('arch'), 'arch'),
    releases: input.list('release').map((release) => plain(release, 'release')),
    tags: input.list('tag').map((tag) => plain(tag, 'tag')),
    jobs: wholeOf(input, 'jobs', 1, 1000) ?? 1,
  }
}

/** The word that `farm builder --enroll` prints, or the file that it is the second line of. */
async function keyOf(context: Context, key: string): Promise<string> {
  try {
    return publicKeyLine(decodePublicKeyLine(key))
  } catch (error) {
    if (!isBinderyError(error)) throw error
    return publicKeyLine(await readKeyFile(context, key, decodePublicKey))
  }
}

async function list(context: Context, input: Input, builders: readonly KnownBuilder[]): Promise<void> {
  if (input.flag('json')) for (const one of builders) await print(context, `${JSON.stringify(one)}\n`)
  else
    for (const line of table([['NAME', 'ARCH', 'RELEASES', 'TAGS', 'JOBS', 'STATE', 'SEEN'], ...builders.map(rowOf)]))
      await print(context, `${line}\n`)
}

function rowOf({ name, arch, releases, tags, jobs, publicKey, paused, quarantined, seen }: KnownBuilder): readonly string[] {
  const state = quarantined ? 'quarantined' : paused ? 'paused' : publicKey === undefined ? 'here' : 'ready'
  const time = seen === undefined ? 'never' : `${new Date(seen).toISOString().slice(0, 19)}Z`
  return [name, arch, releases.join(' ') || 'all', tags.join(' ') || '-', String(jobs), state, time]
}

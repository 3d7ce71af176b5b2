import { BinderyError } from '../base/error.ts'
import { decodePublicKey } from '../format/signify.ts'
import { sharedFlags } from './flags.ts'
import { runAsGenpkgup, usualMirror } from './pkgindex-genpkgup.ts'
import { indexMirror } from './pkgindex-once.ts'
import { isUrl, mirrorAt } from './pkgindex-mirror.ts'
import { openOutput } from './pkgindex-output.ts'
import { watchMirror } from './pkgindex-watch.ts'
import { readKeyFile } from './signed-files.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Command, Context, Input } from './command.ts'

export const pkgindex: Command = {
  name: 'pkgindex',
  summary: 'index the packages of an OpenBSD mirror, for pkgcheck and obsdpkgup',
  operands: '[DIR | URL]',
  operandCount: { min: 0, max: 1 },
  options: {
    output: { ...sharedFlags.output, help: 'write the index, compressed, to FILE; plain to stdout without' },
    seckey: { ...sharedFlags.seckey, help: 'also write index.bindery.zst beside it, signed with this key' },
    expires: { kind: 'value', value: 'DAYS', help: 'how long the signed index is good for (default: 30)' },
    pubkey: { kind: 'value', value: 'FILE', help: 'verify what is read of each package with this signify key' },
    partial: { kind: 'flag', help: 'write an index also without packages that cannot be read' },
    state: { kind: 'value', value: 'FILE', help: 'what is remembered until the next run (default: beside the index)' },
    watch: { kind: 'flag', help: 'stay, and index DIR anew whenever it has changed' },
    interval: { kind: 'value', value: 'SECONDS', help: 'how often --watch looks (default: 10)' },
    json: sharedFlags.json,
    mirror: { kind: 'value', short: 'm', value: 'URL', help: `of genpkgup: a mirror, instead of DIR or URL (default: ${usualMirror})` },
    arch: { kind: 'value', short: 'a', value: 'ARCH', help: 'of genpkgup: the architecture' },
    release: { kind: 'value', short: 'v', value: 'VERSION', help: 'of genpkgup: snapshots, or the release whose packages-stable to index' },
    progress: { kind: 'flag', short: 'p', help: 'of genpkgup: count the packages on stderr' },
  },
  examples: [
    'bindery pkgindex /var/www/pub/OpenBSD/snapshots/packages/amd64 -o index.pkgup.gz',
    'bindery pkgindex https://cdn.openbsd.org/pub/OpenBSD/7.8/packages-stable/amd64/ -s index.sec -o /var/www/pkgup/7.8/amd64/index.pkgup.gz',
    'bindery pkgindex -v snapshots -a amd64 -p > index.pkgup',
  ],
  run: async (context, input) => {
    const [place] = input.operands
    refuseMixtures(input, place)
    const key = await keyOf(context, input)
    if (place === undefined) return await runAsGenpkgup(context, input, key)
    const indexing = { mirror: mirrorAt(context, place), output: await openOutput(context, input), key }
    if (!input.flag('watch')) return await indexMirror(context, indexing)
    return await watchMirror(context, indexing, secondsOf(input))
  },
}

async function keyOf(context: Context, input: Input): Promise<SignifyPublicKey | undefined> {
  const file = input.value('pubkey')
  return file === undefined ? undefined : await readKeyFile(context, file, decodePublicKey)
}

function refuseMixtures(input: Input, place: string | undefined): void {
  const usage = (message: string): BinderyError => new BinderyError('usage', message)
  const [asGenpkgup] = (['mirror', 'arch', 'release'] as const).filter((name) => input.value(name) !== undefined)
  if (place !== undefined && asGenpkgup !== undefined) throw usage(`--${asGenpkgup} says where a mirror is, and so does '${place}'`)
  if ((input.value('output') ?? '-') === '-') {
    const [needy] = (['seckey', 'state'] as const).filter((name) => input.value(name) !== undefined)
    if (needy !== undefined) throw usage(`--${needy} goes with --output`)
    if (input.flag('watch')) throw usage('--watch goes with --output')
  } else if (input.flag('json')) throw usage('--json is for stdout')
  if (input.flag('watch') && (place === undefined || isUrl(place))) throw usage('--watch is for a folder')
}

function secondsOf(input: Input): number {
  const text = input.value('interval') ?? '10'
  const seconds = Number(text)
  if (!/^[0-9]{1,5}(\.[0-9]{1,3})?$/.test(text) || seconds < 0.05)
    throw new BinderyError('usage', `--interval takes seconds, not '${text}'`)
  return seconds
}

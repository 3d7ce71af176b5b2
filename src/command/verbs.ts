import { clientVerbs } from './verbs-client.ts'
import type { Command, Verb } from './command.ts'

/** Verbs of makers and repositories. */
const makerVerbs: readonly Verb[] = [
  {
    name: 'capture',
    summary: 'run a command in a sandbox over a tree, and record what it changed',
    load: async () => (await import('./capture.ts')).capture,
  },
  { name: 'cut', summary: 'cut a dist from a tree, or from a capture and its base', load: async () => (await import('./cut.ts')).cut },
  {
    name: 'delta',
    summary: 'make a delta between two dists or other files, join two, or tell what one applies to',
    load: async () => (await import('./delta.ts')).delta,
  },
  { name: 'keygen', summary: 'make a signify key pair', load: async () => (await import('./keygen.ts')).keygen },
  {
    name: 'sign',
    summary: 'sign a file, what an unsigned publication waits for, or a handover of packages',
    load: async () => (await import('./sign.ts')).sign,
  },
  {
    name: 'keys',
    summary: "show a repository's keys, warn of what goes wrong with them before long, and change them",
    load: async () => (await import('./keys.ts')).keys,
  },
  { name: 'init', summary: 'make a repository with its role keys', load: async () => (await import('./init.ts')).init },
  {
    name: 'compose',
    summary: 'make an update, with its post-steps, notices and description, from named files or two releases',
    load: async () => (await import('./compose.ts')).compose,
  },
  {
    name: 'rules',
    summary: 'show, explain, test and learn the rules by which updates get their post-steps and notices',
    load: async () => (await import('./rules.ts')).rules,
  },
  { name: 'publish', summary: 'add releases to their channels', load: async () => (await import('./publish.ts')).publish },
  {
    name: 'bundle',
    summary: 'make a file that updates machines without bindery, with sh and base tools alone',
    load: async () => (await import('./bundle.ts')).bundle,
  },
  { name: 'prune', summary: 'drop old releases, and files that belong to nothing', load: async () => (await import('./prune.ts')).prune },
  {
    name: 'fsck',
    summary: 'check a repository: signatures, digests, records, leavings',
    load: async () => (await import('./fsck.ts')).fsck,
  },
  { name: 'refresh', summary: 'renew the short-lived metadata of a repository', load: async () => (await import('./refresh.ts')).refresh },
  {
    name: 'pbi',
    summary: "show, unpack, make and patch PBIs, PC-BSD's packages",
    load: async () => (await import('./pbi.ts')).pbi,
  },
  {
    name: 'pkgindex',
    summary: 'index the packages of an OpenBSD mirror, for pkgcheck and obsdpkgup',
    load: async () => (await import('./pkgindex.ts')).pkgindex,
  },
  {
    name: 'farm run',
    summary: 'look after a farm: from a commit to mirrors that have the packages',
    load: async () => (await import('./farm-run.ts')).farmRun,
  },
  {
    name: 'farm status',
    summary: 'say where everything stands: what is built, what waits for a signature, how mirrors are',
    load: async () => (await import('./farm-status.ts')).farmStatus,
  },
  {
    name: 'farm cancel',
    summary: 'take builds out of the queue, and end those that are being built',
    load: async () => (await import('./farm-cancel.ts')).farmCancel,
  },
  {
    name: 'farm retry',
    summary: 'have builds that failed, were quarantined or cancelled tried again at once',
    load: async () => (await import('./farm-retry.ts')).farmRetry,
  },
  {
    name: 'farm pause',
    summary: 'give out nothing of a branch, or nothing to a builder',
    load: async () => (await import('./farm-pause.ts')).farmPause,
  },
  { name: 'farm resume', summary: 'undo farm pause', load: async () => (await import('./farm-resume.ts')).farmResume },
  {
    name: 'farm export',
    summary: 'write all that a farm remembers, as lines of JSON',
    load: async () => (await import('./farm-export.ts')).farmExport,
  },
  {
    name: 'farm import',
    summary: 'fill an empty farm with what farm export wrote',
    load: async () => (await import('./farm-import.ts')).farmImport,
  },
  {
    name: 'farm select',
    summary: 'say which packages are to be built anew after a ports tree changed',
    load: async () => (await import('./farm-select.ts')).farmSelect,
  },
  {
    name: 'farm build',
    summary: 'build the ports of a list into packages',
    load: async () => (await import('./farm-build.ts')).farmBuild,
  },
  {
    name: 'farm builder',
    summary: 'build for a farm on another machine',
    load: async () => (await import('./farm-builder.ts')).farmBuilder,
  },
  {
    name: 'farm builders',
    summary: 'say which machines may build for a farm',
    load: async () => (await import('./farm-builders.ts')).farmBuilders,
  },
  {
    name: 'farm handover',
    summary: 'make one request out of built packages, for whoever signs them',
    load: async () => (await import('./farm-handover.ts')).farmHandover,
  },
  {
    name: 'farm accept',
    summary: 'check what came back from the signer against what was asked for',
    load: async () => (await import('./farm-accept.ts')).farmAccept,
  },
  {
    name: 'farm publish',
    summary: 'put signed packages where mirrors and users find them',
    load: async () => (await import('./farm-publish.ts')).farmPublish,
  },
  {
    name: 'farm mirror',
    summary: 'bring mirrors up to date, and tell how far behind they are',
    load: async () => (await import('./farm-mirror.ts')).farmMirror,
  },
  {
    name: 'farm serve',
    summary: 'serve the pages of a farm, for reading',
    load: async () => (await import('./farm-serve.ts')).farmServe,
  },
  {
    name: 'farm token',
    summary: 'say who may read the pages of a farm, and who may act',
    load: async () => (await import('./farm-token.ts')).farmToken,
  },
  {
    name: 'farm forget',
    summary: 'forget machines of the fleet, and by which keys they are known',
    load: async () => (await import('./farm-forget.ts')).farmForget,
  },
  { name: 'tuf', summary: 'drive the TUF client by hand, as conformance suites do', load: async () => (await import('./tuf.ts')).tuf },
  { name: 'serve', summary: 'serve a repository over HTTP', load: async () => (await import('./serve.ts')).serve },
]

/** As bindery(1) lists them. */
const order =
  'scan diff capture cut delta patch keygen sign verify compose rules init keys publish bundle prune fsck refresh enroll unenroll check fetch install rollback recover list audit config pkgcheck pkgindex pbi farm tuf serve'.split(
    ' ',
  )

/** Verbs of two words stand together. */
function place({ name }: Verb): number {
  return order.indexOf(name.split(' ')[0] as string)
}

/** Here it also opens containers. */
const patch = async (): Promise<Command> => (await import('./patch.ts')).patch

const shared = clientVerbs.map((verb) => (verb.name === 'patch' ? { ...verb, load: patch } : verb))

export const verbs: readonly Verb[] = [...shared, ...makerVerbs].sort((a, b) => place(a) - place(b))

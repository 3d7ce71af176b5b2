import type { Verb } from './command.ts'

/** The verbs of the client-only bundle. Nothing here may lead to the code that cuts, signs, publishes or serves. */
export const clientVerbs: readonly Verb[] = [
  { name: 'scan', summary: 'describe a tree as an mtree(5) manifest', load: async () => (await import('./scan.ts')).scan },
  { name: 'diff', summary: 'show what differs between two of tree, manifest and dist', load: async () => (await import('./diff.ts')).diff },
  { name: 'patch', summary: 'apply a delta: old bytes in, new bytes out', load: async () => (await import('./patch-client.ts')).patch },
  {
    name: 'verify',
    summary: 'verify a signify signature, or a signed list of checksums',
    load: async () => (await import('./verify.ts')).verify,
  },
  {
    name: 'enroll',
    summary: 'tie a root to channels of a repository',
    fetches: true,
    load: async () => (await import('./enroll.ts')).enroll,
  },
  {
    name: 'unenroll',
    summary: 'follow channels no longer, and leave the tree as it is',
    load: async () => (await import('./unenroll.ts')).unenroll,
  },
  { name: 'check', summary: 'ask whether there are updates', fetches: true, load: async () => (await import('./check.ts')).check },
  {
    name: 'fetch',
    summary: 'download updates, to be installed later',
    fetches: true,
    load: async () => (await import('./fetch.ts')).fetch,
  },
  {
    name: 'install',
    summary: 'bring channels to their newest release',
    fetches: true,
    load: async () => (await import('./install.ts')).install,
  },
  { name: 'rollback', summary: 'take back the newest install, or several', load: async () => (await import('./rollback.ts')).rollback },
  {
    name: 'recover',
    summary: 'finish what an interrupted run left, or take it back',
    load: async () => (await import('./recover.ts')).recover,
  },
  {
    name: 'list',
    summary: 'show channels, installed releases and what can be rolled back',
    load: async () => (await import('./list.ts')).list,
  },
  {
    name: 'audit',
    summary: 'compare the tree with the installed releases, check the state, and mend both',
    load: async () => (await import('./audit.ts')).audit,
  },
  {
    name: 'config',
    summary: 'show what is configured, and where it is said',
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'pkgcheck',
    summary: 'ask which OpenBSD packages have updates, as obsdpkgup does',
    load: async () => (await import('./pkgcheck.ts')).pkgcheck,
  },
]

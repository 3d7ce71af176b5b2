/**
 * What is mutated, in groups that one run of Stryker takes each, and the test files that are to find the mutants: such as call
 * src in their own process, and little else. A survivor costs all tests that reach it; so those that take seconds are left out
 * where others look at the same code.
 */
export type Group = {
  readonly name: string
  /** Files or globs; each file belongs to one group. */
  readonly mutate: readonly string[]
  /** In the order in which they are run: first what finds most in least time. */
  readonly tests: readonly string[]
  /** Names of tests in these files. */
  readonly leaveOut?: readonly string[]
}

const apply = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/apply/${name}.ts`)
const client = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/${name}.ts`)
const repo = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/repo/${name}.ts`)
const tests = (names: string): readonly string[] => names.split(' ').map((name) => `test/${name}.test.ts`)

const whileApplying = tests(
  'client-install client-audit client-libraries client-obsolete client-machine-attributes client-steps client-merge ' +
    'client-hostile-owner client-generated commit-order',
)
const whileFetching = tests(
  'client-mirrors client-download client-check client-fetch client-enroll client-manifest client-state client-old-contents client-resume',
)

export const groups: readonly Group[] = [
  { name: 'paths', mutate: ['src/base/path.ts', 'src/base/name.ts'], tests: tests('base-path base-name') },
  {
    name: 'journal',
    mutate: ['src/format/journal.ts', 'src/format/journal-node.ts', 'src/format/journal-step.ts'],
    tests: tests('format-journal'),
  },
  {
    name: 'trust',
    mutate: [
      ...repo('trust update-roles update-root refresh-session verify-signatures signature-schemes ed25519 delegations role-files'),
      ...repo('check-state look-first'),
      'src/format/strict-json.ts',
      'src/format/tuf.ts',
      'src/format/tuf-decode.ts',
    ],
    tests: tests('format-tuf repo-trust repo-trust-keys repo-trust-delegations repo-trust-check repo-look-first'),
    leaveOut: ['fifty thousand targets are read'],
  },
  {
    name: 'commit',
    mutate: [
      ...apply('commit transaction stage recover rollback receipts history finish repair audit run-steps steps'),
      ...apply('area area-folders area-list aside'),
    ],
    tests: [...whileApplying, ...tests('crash/merge crash/power-cut')],
    leaveOut: [
      'a merging install and its rollback, crashed before any call, are finished or undone by recover',
      'a merging install and its rollback, crashed after any call, are finished or undone by recover',
    ],
  },
  {
    name: 'plan',
    mutate: [
      ...apply('plan decide look changes order install parts phases contents configuration policy refusals space replaced beside after'),
      ...apply('folders links nodes twins meant indexes former old-names library-users needed-libraries separate'),
    ],
    tests: [...tests('client-decide'), ...whileApplying, ...tests('old-names crash/phases')],
    leaveOut: ['a machine that stops at any call', 'killed at every moment of every phase, the machine is before it or behind it'],
  },
  {
    name: 'merge',
    mutate: apply('merges merge-text merge-accounts merge-versions merged-before'),
    tests: tests('client-merge merge-text merge-accounts'),
  },
  {
    name: 'fetch',
    mutate: ['src/engine/client/fetch/*.ts'],
    tests: [...whileFetching, ...tests('client-obsolete needs')],
    leaveOut: [
      'with basis installed, modified files are fetched alone, and the tar is that of the release',
      'a tree with local changes is the nearest release; only what changed is fetched',
      'an enroll that fails at any call leaves nothing',
      'an enroll --force that is killed at any call leaves the channel a release, and can be done again',
      'one changed file of thousands comes with a few kilobytes in all, as check has said',
      'modified files that an earlier run brought do not come again',
    ],
  },
  { name: 'staged', mutate: ['src/engine/client/staged/*.ts'], tests: tests('staged-trees') },
  {
    name: 'client',
    mutate: client(
      'audit-state boot-hook boot-system checksums draw fleet generated incoming installed machine-id mended-bit mixed-tree ' +
        'other-channels phase reboot report rest state state-version terms to-remove told unenroll',
    ),
    tests: tests(
      'client-state client-audit client-steps client-generated client-install boot-hook reboot-option crash/phases reports rollout',
    ),
  },
]

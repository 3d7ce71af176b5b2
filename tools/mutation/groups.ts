/**
 * What is mutated, in groups that one run of Stryker takes each, and the test files that are to find the mutants. Files that run
 * bindery are left out: they run what was bundled, not src. So are those that take long.
 */
export type Group = {
  readonly name: string
  /** Files or globs; each file belongs to one group. */
  readonly mutate: readonly string[]
  /** In the order in which they are run: first what finds most in least time. */
  readonly tests: readonly string[]
}

const apply = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/apply/${name}.ts`)
const repo = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/repo/${name}.ts`)
const tests = (names: string): readonly string[] => names.split(' ').map((name) => `test/${name}.test.ts`)

const whileApplying = tests(
  'client-install client-audit client-libraries client-obsolete client-machine-attributes client-steps client-merge ' +
    'client-hostile-owner client-generated commit-order old-names crash/phases crash/merge crash/local-changes',
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
      ...repo(
        'trust update-roles update-root refresh-session verify-signatures signature-schemes ed25519 delegations role-files check-state',
      ),
      ...repo('look-first'),
      'src/format/strict-json.ts',
      'src/format/tuf.ts',
      'src/format/tuf-decode.ts',
    ],
    tests: tests('repo-trust repo-trust-keys repo-trust-delegations repo-trust-check repo-look-first format-tuf'),
  },
  {
    name: 'commit',
    mutate: [
      ...apply('commit transaction stage recover rollback receipts history finish repair audit run-steps steps'),
      ...apply('area area-folders area-list aside'),
    ],
    tests: whileApplying,
  },
  {
    name: 'plan',
    mutate: [
      ...apply('plan decide look changes order install parts phases contents configuration policy refusals space replaced beside after'),
      ...apply('folders links nodes twins meant indexes former old-names library-users needed-libraries separate'),
    ],
    tests: whileApplying,
  },
  {
    name: 'merge',
    mutate: apply('merges merge-text merge-accounts merge-versions merged-before'),
    tests: tests('merge-text merge-accounts client-merge crash/merge'),
  },
  {
    name: 'fetch',
    mutate: ['src/engine/client/fetch/*.ts'],
    tests: tests(
      'client-mirrors client-download client-check client-fetch client-enroll client-resume client-manifest client-state ' +
        'client-old-contents client-obsolete rollout needs',
    ),
  },
  { name: 'staged', mutate: ['src/engine/client/staged/*.ts'], tests: tests('staged-trees') },
  {
    name: 'client',
    mutate: ['src/engine/client/*.ts'],
    tests: tests('client-state client-audit client-steps boot-hook reports client-enroll client-install reboot-option'),
  },
]

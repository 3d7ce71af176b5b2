/**
 * What is mutated, in groups that one run of Stryker takes each, and the test files that are to find the mutants: such as call
 * src in their own process, and little else. A survivor costs all tests that reach it; so those that take seconds are left out
 * where others look at the same code.
 */
export type Group = {
  readonly name: string
  /** Files or globs; each file belongs to one group. */
  readonly mutate: readonly string[]
  readonly tests: readonly string[]
  /** Names of tests in these files. */
  readonly leaveOut?: readonly string[]
}

const apply = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/apply/${name}.ts`)
const client = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/${name}.ts`)
const fetching = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/client/fetch/${name}.ts`)
const repo = (names: string): readonly string[] => names.split(' ').map((name) => `src/engine/repo/${name}.ts`)
const tests = (names: string): readonly string[] => names.split(' ').map((name) => `test/${name}.test.ts`)

const whileApplying = tests(
  'client-install client-audit client-libraries client-obsolete client-machine-attributes client-steps client-merge ' +
    'client-hostile-owner client-generated commit-order',
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
      'src/base/wildcards.ts',
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
    tests: [
      ...whileApplying,
      ...tests('crash/merge crash/power-cut area area-list area-folders aside'),
      ...tests('receipts history run-steps audit-findings finish repair-plan stage transaction recover rollback'),
      ...tests('carry-out-forward carry-out-backward'),
    ],
    leaveOut: [
      'a power cut in an install or a rollback loses nothing that matters',
      'a merging install and its rollback, crashed midway any call, are finished or undone by recover',
      'a merging install and its rollback, crashed before any call, are finished or undone by recover',
      'a merging install and its rollback, crashed after any call, are finished or undone by recover',
    ],
  },
  {
    name: 'plan',
    mutate: apply('plan decide look changes order install parts phases policy after'),
    tests: [
      ...tests('client-decide client-changes client-plan client-summary client-parts client-phases'),
      ...whileApplying,
      ...tests('old-names crash/phases'),
    ],
    leaveOut: [
      'a machine that stops at any call',
      'before it has the old kernels or the new ones, by recover and by recover --undo',
      'midway it has the old kernels or the new ones, by recover and by recover --undo',
      'after it has the old kernels or the new ones, by recover and by recover --undo',
      'killed at every moment of every phase, the machine is before it or behind it',
    ],
  },
  // What tests of their own find: with those of whole installs each survivor would take seconds.
  {
    name: 'around',
    mutate: apply('beside configuration contents folders refusals replaced space'),
    tests: tests('beside configuration contents folders refusals replaced-files space'),
  },
  {
    name: 'links',
    mutate: apply('links nodes twins meant indexes former old-names library-users needed-libraries separate raised'),
    tests: tests('plan-nodes indexes raised link-groups library-users needed-libraries twins separate former find-old-names'),
  },
  {
    name: 'merge',
    mutate: apply('merges merge-text merge-accounts merge-versions merged-before'),
    tests: tests('merges merge-text merge-accounts client-merge'),
    leaveOut: [
      'lines that differ from each other are merged as git merge-file merges them, conflicts included',
      'what GNU diff3 merges too is the same',
      'the program of a bundle makes the same text under mawk, to the byte, or none',
      'the program of a bundle makes the same text under original-awk, to the byte, or none',
      'the program of a bundle makes the same text under busybox awk, to the byte, or none',
      'the program of a bundle makes the same text under gawk, to the byte, or none',
      'the program of a bundle makes the same of them under mawk, or nothing',
      'the program of a bundle makes the same of them under original-awk, or nothing',
      'the program of a bundle makes the same of them under busybox awk, or nothing',
    ],
  },
  {
    name: 'fetch',
    mutate: [
      ...fetching(
        'open-trust trust-store state-files download-pieces download-attempt download fault mirror-failures mirror-order mirrors',
      ),
      ...fetching('request throttle check offer fitting-offers fitting tree-match manifest obsolete rollout prospects releases session'),
      ...fetching('together cache frames gather'),
    ],
    tests: [
      ...tests('client-download-attempt client-download-mirrors client-finding client-metadata-source client-mirror-failures'),
      ...tests('client-open-trust client-request client-state-files client-trust-store'),
      ...tests('needs fetch-offer fetch-releases fetch-cache fitting-offers tree-match fetch-frames fetch-beside'),
    ],
  },
  {
    name: 'routes',
    mutate: fetching(
      'assemble basis enroll fetch fetch-route first-base identify mend-state next-base old-contents old-tar patched repair-source',
    ),
    tests: tests(
      'fetch-route next-base first-base kept-tar identify keep-patched old-tar repair-source old-contents assemble mend-state ' +
        'fetch-incoming enrolling',
    ),
  },
  {
    name: 'staged',
    mutate: ['src/engine/client/staged/*.ts'],
    tests: tests(
      'staged-state-files staged-place staged-rules staged-convert staged-clone staged-catch-up staged-sweep staged-new-tree staged-next-root staged-trees',
    ),
    leaveOut: [
      'after a crash at any call the old tree counts or the new one, whole, and the next run removes what is left',
      'a change of mode that is cut off anywhere leaves the folder, or trees that the link is made to again',
    ],
  },
  {
    name: 'client',
    mutate: client(
      'audit-state boot-hook boot-system checksums draw fleet generated incoming installed machine-id mended-bit mixed-tree ' +
        'other-channels phase reboot report rest state state-version terms to-remove told unenroll',
    ),
    tests: tests(
      'client-state client-state-audit client-state-checksums client-state-mends client-leaving client-audit client-generated boot-hook reboot-option client-reports client-reboot client-notes client-mixed-tree crash/phases',
    ),
    leaveOut: [
      'killed at every moment of every phase, the machine is before it or behind it',
      'judged by the systems’ own rules',
      'systemd takes the unit as it is',
      'sh reads the scripts, and shellcheck finds nothing',
    ],
  },
]

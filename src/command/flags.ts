import type { Option } from './command.ts'

/** Options that several verbs have: one letter, one meaning. The key is the long name. */
export const sharedFlags = {
  output: { kind: 'value', short: 'o', value: 'FILE', help: 'write to FILE instead of stdout' },
  dryRun: { kind: 'flag', short: 'n', help: 'show what would be done, and do nothing' },
  json: { kind: 'flag', short: 'j', help: 'print JSON, one object a line' },
  repo: { kind: 'value', short: 'r', value: 'REPO', help: 'the repository: a folder' },
  keys: { kind: 'value', short: 'k', value: 'DIR', help: 'the folder of secret role keys' },
  pubkey: { kind: 'value', short: 'p', value: 'FILE', help: 'public key' },
  seckey: { kind: 'value', short: 's', value: 'FILE', help: 'secret key' },
  message: { kind: 'value', short: 'm', value: 'FILE', help: 'the message: the file that is signed' },
  signature: { kind: 'value', short: 'x', value: 'FILE', help: 'the signature file' },
  embed: { kind: 'flag', short: 'e', help: 'the signature holds the message' },
  gzip: { kind: 'flag', short: 'z', help: 'a signed gzip file' },
  comment: { kind: 'value', short: 'c', value: 'TEXT', help: 'comment for the untrusted comment line' },
  report: { kind: 'list', value: 'PLACE', help: 'leave a report of this run there (folder, URL, rsync), or none; may be given again' },
  cron: { kind: 'flag', help: 'for cron(8): wait for a moment of this machine, and print only what somebody should read' },
  noPassphrase: { kind: 'flag', help: 'the secret key is not encrypted' },
} as const satisfies Readonly<Record<string, Option>>

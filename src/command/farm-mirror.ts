import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { showSpan } from '../base/show-span.ts'
import { targetAt } from './farm-mirror-target.ts'
import { publishedSets, visitMirror } from './farm-mirror-visit.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Command } from './command.ts'
import type { Standing } from './farm-mirror-visit.ts'

export const farmMirror: Command = {
  name: 'farm mirror',
  summary: 'bring mirrors up to date, and tell how far behind they are',
  operands: 'DIR TARGET...',
  operandCount: { min: 2, max: Infinity },
  options: {
    check: { kind: 'flag', help: 'only look; the targets may also be URLs' },
    json: { ...sharedFlags.json, help: 'print JSON, one release and architecture of one mirror a line' },
  },
  examples: [
    'bindery farm mirror /var/www/pub/OpenBSD rsync://mirror.example.org/pub/OpenBSD /mnt/backup/OpenBSD',
    'bindery farm mirror /var/www/pub/OpenBSD s3://packages/pub/OpenBSD',
    'bindery farm mirror --check --json /var/www/pub/OpenBSD https://cdn.openbsd.org/pub/OpenBSD',
  ],
  run: async (context, input) => {
    const [folder, ...places] = input.operands as [string, ...string[]]
    const ours = resolve(folder)
    const targets = places.map((place) => targetAt(context, place))
    const sets = await publishedSets(ours)
    if (sets.length === 0) throw new BinderyError('not-found', 'holds nothing that farm publish has published', { subject: folder })
    let attention = false
    for (const target of targets)
      await visitMirror(context, { target, ours, sets, bring: !input.flag('check') }, async (set, state) => {
        attention ||= state.kind !== 'current'
        await print(
          context,
          input.flag('json') ? `${JSON.stringify({ target: target.place, folder: set, ...state })}\n` : lineOf(target, set, state),
        )
      })
    return attention ? needsAttention : 0
  },
}

const needsAttention = 6

function lineOf({ place }: MirrorTarget, set: string, state: Standing): string {
  return `${place}: ${set}: ${textOf(state)}\n`
}

function textOf(state: Standing): string {
  switch (state.kind) {
    case 'current':
      return 'current'
    case 'missing':
      return 'has no index.txt'
    case 'failed':
      return `failed: ${state.why}`
    case 'behind':
      return `behind by ${showSpan(state.seconds * 1000)}`
    case 'other':
      return 'another index of the same time'
    case 'torn': {
      const more = state.files.length > 1 ? `, and ${state.files.length - 1} more` : ''
      return `torn: ${state.files[0] as string}${more}${state.seconds === undefined || state.seconds === 0 ? '' : `; behind by ${showSpan(state.seconds * 1000)}`}`
    }
  }
}

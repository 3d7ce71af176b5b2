import { changesTo } from '../engine/pkg/check/explain.ts'
import { print } from './output.ts'
import { commandOf, problemsOf, warningsOf } from './pkgcheck-text.ts'
import type { Context } from './command.ts'
import type { Findings } from './pkgcheck.ts'

/** One object a line, each with its `kind`; the last is the summary. */
export async function tellAsJson(context: Context, findings: Findings): Promise<void> {
  for (const record of recordsOf(findings)) await print(context, `${JSON.stringify(record)}\n`)
}

type Record_ = Readonly<Record<string, unknown>>

function recordsOf(findings: Findings): readonly Record_[] {
  const { outlook, installed, choice } = findings
  return [
    ...problemsOf(findings).map((text) => ({ kind: 'problem', text })),
    ...warningsOf(findings).map((text) => ({ kind: 'warning', text })),
    ...findings.updates.map(({ installed: from, next, reason, argument }) => ({
      kind: 'update',
      installed: from.name,
      available: next.name,
      pkgpath: from.pkgpath,
      reason,
      argument,
      size: next.size,
      changes: changesTo(from, next),
    })),
    ...(outlook?.gone ?? []).map(({ installed: from, ...how }) => ({ ...how, kind: 'gone', how: how.kind, installed: from.name })),
    ...(outlook?.dependencies ?? []).map((dependency) => ({ kind: 'dependency', ...dependency })),
    ...installed.interrupted.map((name) => ({ kind: 'interrupted', name })),
    {
      kind: 'summary',
      installed: installed.packages.length,
      updates: findings.updates.length,
      download: outlook?.download,
      command: commandOf(findings),
      path: choice.best.path,
      indexes: choice.best.sources,
      indexDate: choice.best.indexDate === undefined ? undefined : new Date(choice.best.indexDate.ms).toISOString(),
      mirrorDate: new Date(choice.best.mirrorDate.ms).toISOString(),
    },
  ]
}

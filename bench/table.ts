import type { Goal, Row, Unit } from './harness.ts'

export type Table = { readonly name: string; readonly rows: readonly Row[] }

/** As Markdown, for the README. */
export function table({ name, rows }: Table): string {
  const lines = rows.map((row) => `| ${cells(row).join(' | ')} |\n`)
  return `### ${name}\n\n| what | bindery | peer | ratio | goal | |\n|---|---|---|---|---|---|\n${lines.join('')}`
}

function cells(row: Row): readonly string[] {
  const peer = row.peer === undefined ? '' : `${show(row.peer.value, row.unit)} (${row.peer.name})`
  const ratio = ratioOf(row)
  const verdict = row.goal === undefined ? '' : isMet(row) ? 'met' : 'missed'
  return [row.what, show(row.ours, row.unit), peer, ratio === undefined ? '' : ratio.toPrecision(3), showGoal(row), verdict]
}

export function isMet({ goal, ...row }: Row): boolean {
  if (goal === undefined) return true
  const value = goal.of === 'ours' ? row.ours : ratioOf(row)
  if (value === undefined) throw new Error(`${row.what}: a goal for the ratio, and no peer`)
  return value <= (goal.atMost ?? Infinity) && value >= (goal.atLeast ?? -Infinity)
}

function ratioOf(row: Row): number | undefined {
  return row.peer === undefined ? undefined : row.ours / row.peer.value
}

function showGoal({ goal, unit }: Row): string {
  if (goal === undefined) return ''
  return [
    ...(goal.atMost === undefined ? [] : [`at most ${showBound(goal, goal.atMost, unit)}`]),
    ...(goal.atLeast === undefined ? [] : [`at least ${showBound(goal, goal.atLeast, unit)}`]),
  ].join(', ')
}

function showBound(goal: Goal, bound: number, unit: Unit): string {
  return goal.of === 'ratio' ? String(Number(bound.toPrecision(3))) : show(bound, unit)
}

export function show(value: number, unit: Unit): string {
  switch (unit) {
    case 'MiB':
      return `${Math.round(value)} MiB`
    case 's':
      return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`
    case 'MB/s':
      return `${Math.round(value)} MB/s`
    case 'bytes':
      return value >= 1e6 ? `${(value / 1e6).toFixed(1)} MB` : value >= 1e3 ? `${(value / 1e3).toFixed(1)} kB` : `${value} B`
  }
}

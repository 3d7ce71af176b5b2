import { showPath } from '../base/path.ts'
import { showText } from '../base/show-text.ts'
import { sameAttributes } from '../engine/client/apply/nodes.ts'
import { isOwnState } from '../engine/tree/scan.ts'
import { bytesJson, entryJson } from './entry-json.ts'
import type { Action, Journal, Kept, KeptReason } from '../format/journal.ts'
import type { Plan } from '../engine/client/apply/plan.ts'

/** How a plan is shown by `-n`: what happens to the tree, in its order, and what stays as it was changed here. */

/** Lines without their ends. */
export function planLines({ journal }: Plan, json: boolean): readonly string[] {
  const actions = journal.actions.filter(isShown)
  const merged = new Set(journal.kept.flatMap(({ path, reason }) => (reason === 'merged' ? [path] : [])))
  const word = (action: Action): string => (action.kind === 'swap' && merged.has(action.path) ? 'merge' : words[action.kind])
  const kept = journal.kept.filter(({ reason }) => reason !== 'merged')
  return json
    ? [...actions.map((action) => actionJson(word(action), action)), ...kept.map(keptJson), ...afterJson(journal)]
    : [
        ...actions.map((action) => `${word(action)} ${slash(action.path)}`),
        ...kept.map((one) => `keep ${keptText(one)}`),
        ...afterText(journal),
      ]
}

/** A script is shown as it is, each line of it indented. */
function afterText({ postSteps, reboot }: Journal): readonly string[] {
  const steps = postSteps.flatMap((step) => {
    if (step.kind === 'notice') return []
    const lines = step.kind === 'run' ? [] : showText(step.text.trimEnd()).split('\n')
    return [
      step.kind === 'run' ? `run ${step.name}: ${showText(step.command)}` : `run ${step.name}:`,
      ...lines.map((line) => `    ${line}`),
    ]
  })
  return [...steps, ...reboot.map((one) => `needs ${one.class}`)]
}

function afterJson({ postSteps, reboot }: Journal): readonly string[] {
  const steps = postSteps.map(({ kind, ...step }) => JSON.stringify({ action: kind, ...step }))
  return [...steps, ...reboot.map((one) => JSON.stringify({ action: 'needs', ...one }))]
}

/** bindery's own files, and folders whose time is only put back, are no news. */
function isShown(action: Action): boolean {
  return !isOwnState(action.path) && !(action.kind === 'attr' && sameAttributes(action.old, action.new))
}

const words: Readonly<Record<Action['kind'], string>> = {
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  put: 'add',
  drop: 'remove',
  swap: 'replace',
  attr: 'attributes',
}

function actionJson(word: string, action: Action): string {
  const sides = { ...('old' in action ? { old: entryJson(action.old) } : {}), ...('new' in action ? { new: entryJson(action.new) } : {}) }
  return JSON.stringify({ action: word, ...bytesJson('path', action.path), ...sides })
}

function keptJson({ path, reason, beside, by }: Kept): string {
  return JSON.stringify({
    action: 'keep',
    ...bytesJson('path', path),
    reason,
    ...(beside === undefined ? {} : bytesJson('beside', beside)),
    ...(by === undefined ? {} : bytesJson('by', by)),
  })
}

const reasons: Readonly<Record<KeptReason, string>> = {
  modified: 'was modified here',
  removed: 'was removed here',
  'in-the-way': 'is not of a release',
  'not-empty': 'holds other files',
  attributes: 'has mode, owner or attributes that were changed here and in the release',
  protected: 'is protected',
  merged: 'was merged: it holds what was changed here and what the release changes',
  needed: 'is a library that may still be needed',
  late: 'was changed in the meantime',
}

/** `/etc/motd was modified here; the other version is /etc/motd.new`. */
export function keptText({ path, reason, beside, by }: Kept): string {
  if (by !== undefined) return `${slash(path)} is still needed by ${slash(by)}`
  const other = reason === 'late' ? 'it is kept as' : 'the other version is'
  return `${slash(path)} ${reasons[reason]}${beside === undefined ? '' : `; ${other} ${slash(beside)}`}`
}

/** Files of the release that are there already and are not those of the release before: each is told before anything is touched. */
export function conflictLines({ journal }: Plan): readonly string[] {
  return journal.kept
    .filter(({ reason, beside }) => (reason === 'modified' || reason === 'in-the-way') && beside !== undefined)
    .map(({ path, reason }) => `conflict: ${slash(path)} ${reasons[reason]}`)
}

function slash(path: string): string {
  return path === '.' ? '/' : `/${showPath(path)}`
}

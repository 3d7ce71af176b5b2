import { quoted } from '../base/shell-word.ts'
import { showSize } from '../base/show-size.ts'
import { showText } from '../base/show-text.ts'
import { mailDate, skewLines } from '../engine/pkg/check/skew.ts'
import { print } from './output.ts'
import type { PackageUpdate } from '../engine/pkg/check/decide.ts'
import type { Answer } from '../engine/pkg/check/memory.ts'
import type { MirrorChoice } from '../engine/pkg/check/mirrors.ts'
import type { GonePackage, Outlook } from '../engine/pkg/check/outlook.ts'
import type { Context, Input } from './command.ts'
import type { Findings } from './pkgcheck.ts'

/** In obsdpkgup's words and order: talk on stderr, and on stdout nothing but the command that a shell may be given. */
export function textAnswer({ verbosity }: Pick<Context, 'verbosity'>, input: Input, findings: Findings): Answer {
  const isQuiet = verbosity === 'quiet'
  const lines: string[] = []
  const talk = (text: string): unknown => isQuiet || lines.push(showText(text))
  const took = (what: string, ms: number): unknown => input.flag('verbose') && talk(`${what} took: ${(ms / 1000).toFixed(6)} seconds`)
  took('network', findings.networkMs)
  for (const problem of problemsOf(findings)) lines.push(showText(problem))
  for (const update of findings.updates) talk(updateLine(update))
  took('parse', findings.compareMs)
  for (const warning of warningsOf(findings)) talk(warning)
  for (const remark of findings.outlook === undefined ? [] : outlookLines(findings.outlook)) talk(remark)
  const command = commandOf(findings)
  if (command !== undefined) talk('\nto upgrade:')
  else if (!input.flag('cron')) talk('up to date')
  return { stderr: lines.map((line) => `${line}\n`).join(''), stdout: command === undefined ? '' : `${command}\n` }
}

export async function tell(context: Context, { stderr, stdout }: Answer): Promise<void> {
  if (stderr !== '') context.tell(stderr)
  if (stdout !== '') await print(context, stdout)
}

export function problemsOf({ installed, choice }: Findings): readonly string[] {
  return [...installed.problems, ...choice.best.problems]
}

/** `vim-9.0.0-gtk3->9.0.1-gtk3`. */
function updateLine({ installed, next }: PackageUpdate): string {
  const flavor = installed.flavor === '' ? '' : `-${installed.flavor}`
  return `${installed.name}->${next.version}${flavor}`
}

export function warningsOf({ choice }: Findings): readonly string[] {
  const { best } = choice
  return [...(best.indexDate === undefined ? [] : skewLines(best.indexDate, best.mirrorDate)), ...mirrorLines(choice)]
}

/** Of several mirrors: which were not to be had, and which are not of the same date as the one that was taken. */
function mirrorLines({ best, others, failures }: MirrorChoice): readonly string[] {
  const failed = failures.map(({ path, error }) => {
    const subject = error.subject === undefined || error.subject.startsWith(path[0] as string) ? '' : `${error.subject}: `
    return `WARNING: mirror ${path[0] as string}: ${subject}${error.message}`
  })
  const isSkewed = others.some(({ mirrorDate }) => mirrorDate.ms !== best.mirrorDate.ms)
  const dates = isSkewed ? [best, ...others].map(({ path, mirrorDate }) => `${mailDate(mirrorDate)}  ${path[0] as string}`) : []
  return [...failed, ...(isSkewed ? ['WARNING: mirrors differ, the first of these was taken:', ...dates] : [])]
}

/** Undefined where there is nothing to update. */
export function commandOf({ machine, updates, choice, namesPath }: Findings): string | undefined {
  if (updates.length === 0) return undefined
  const names = [...new Set(updates.map(({ argument }) => argument))].sort()
  const path = namesPath ? `PKG_PATH=${quoted(choice.best.path.join(':'))} ` : ''
  return `${path}pkg_add -u${machine.isSnapshot ? ' -Dsnap' : ''} ${names.join(' ')}`
}

function outlookLines({ gone, dependencies, download }: Outlook): readonly string[] {
  const needs = dependencies.map(({ name, neededBy, size }) => {
    return `needs ${name}, for ${neededBy}${size === undefined ? '' : `: ${showSize(size)}`}`
  })
  return [...gone.map(goneLine), ...needs, ...(download === undefined || download === 0 ? [] : [`to download: ${showSize(download)}`])]
}

function goneLine(gone: GonePackage): string {
  switch (gone.kind) {
    case 'renamed':
      return `${gone.installed.name} is now ${gone.to}`
    case 'obsolete':
      return `${gone.installed.name} is obsolete${gone.why === '' ? '' : `: ${gone.why}`}`
    case 'vanished':
      return `${gone.installed.name} is not on the mirror any more`
  }
}

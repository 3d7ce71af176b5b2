import { quoted } from '../base/shell-word.ts'
import { showSize } from '../base/show-size.ts'
import { showText } from '../base/show-text.ts'
import { mailDate, skewLines } from '../engine/pkg/check/skew.ts'
import { print } from './output.ts'
import type { PackageUpdate } from '../engine/pkg/check/decide.ts'
import type { MirrorChoice } from '../engine/pkg/check/mirrors.ts'
import type { GonePackage, Outlook } from '../engine/pkg/check/outlook.ts'
import type { Context, Input } from './command.ts'
import type { Findings } from './pkgcheck.ts'

/** In obsdpkgup's words and order: talk on stderr, and on stdout nothing but the command that a shell may be given. */
export async function tellAsText(context: Context, input: Input, findings: Findings): Promise<void> {
  const isQuiet = context.verbosity === 'quiet'
  const line = (text: string): void => context.tell(`${text}\n`)
  const talk = isQuiet ? () => {} : line
  const took = (what: string, ms: number): void => {
    if (input.flag('verbose')) talk(`${what} took: ${(ms / 1000).toFixed(6)} seconds`)
  }
  took('network', findings.networkMs)
  for (const problem of problemsOf(findings)) line(showText(problem))
  for (const update of findings.updates) talk(updateLine(update))
  took('parse', findings.compareMs)
  for (const warning of warningsOf(findings)) talk(showText(warning))
  for (const remark of findings.outlook === undefined ? [] : outlookLines(findings.outlook)) talk(showText(remark))
  const command = commandOf(findings)
  if (command === undefined) {
    if (!input.flag('cron')) talk('up to date')
    return
  }
  talk('\nto upgrade:')
  await print(context, `${command}\n`)
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

import { unreachable } from '../../base/error.ts'
import { formatDistName } from '../../base/name.ts'
import { showPath } from '../../base/path.ts'
import { showSize } from '../../base/show-size.ts'
import type { Descriptor } from '../../format/descriptor.ts'
import type { PostStep } from '../../format/post-step.ts'
import type { RebootClass } from '../../format/update.ts'
import type { Event } from './rules.ts'

/** What people read of an update, from the same facts that machines go by. */
export type Announcement = { readonly descriptor: Descriptor; readonly events: readonly Event[] }

type Style = {
  title(text: string): string
  heading(text: string): string
  item(text: string): string
  code(text: string): string
  link(url: string): string
}

const plain: Style = {
  title: (text) => `${text}\n${'='.repeat(text.length)}`,
  heading: (text) => `${text}\n${'-'.repeat(text.length)}`,
  item: (text) => `  ${text}`,
  code: (text) => text,
  link: (url) => url,
}

const markdown: Style = {
  title: (text) => `# ${escaped(text)}`,
  heading: (text) => `## ${text}`,
  item: (text) => `- ${text}`,
  code: (text) => {
    const fence = '`'.repeat(Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length)) + 1)
    return text.startsWith('`') || text.endsWith('`') ? `${fence} ${text} ${fence}` : `${fence}${text}${fence}`
  },
  // An address may hold what would be a tag.
  link: (url) => `<${url.replaceAll('<', '%3C').replaceAll('>', '%3E')}>`,
}

export function announceText(announcement: Announcement): string {
  return announce(announcement, plain, (text) => text)
}

export function announceMarkdown(announcement: Announcement): string {
  return announce(announcement, markdown, escaped)
}

function escaped(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]<>#|~]/g, '\\$&')
}

/** More than so many paths are for `diff`. */
const mostPaths = 40

function announce({ descriptor, events }: Announcement, style: Style, words: (text: string) => string): string {
  const sections = [
    [style.title(descriptor.title), ...(descriptor.url === undefined ? [] : [style.link(descriptor.url)])],
    facts(descriptor).map((fact) => style.item(words(fact))),
    section(style, 'Please note', descriptor.notices.map(words)),
    section(style, 'What changes', pathLines(events, style)),
    section(
      style,
      'What is run when the files are in place',
      descriptor.postSteps.flatMap((step) => stepLines(step, style, words)),
    ),
    section(
      style,
      'Merged where it was edited',
      descriptor.configuration.map((path) => style.code(path)),
    ),
  ]
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

function section(style: Style, heading: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [style.heading(heading), ...lines.map((line) => style.item(line))]
}

function facts({ release, previous, payload, security, reboot }: Descriptor): readonly string[] {
  return [
    `Release: ${formatDistName(release)}, ${showSize(payload.size)}`,
    ...(previous === undefined ? [] : [`After: ${formatDistName(previous)}`]),
    ...(security ? ['Mends a security problem'] : []),
    `Afterwards: ${rebootText(reboot)}`,
  ]
}

function rebootText(reboot: RebootClass): string {
  switch (reboot) {
    case 'none':
      return 'nothing has to start again'
    case 'restart':
      return 'services that use what changes have to start again'
    case 'reboot':
      return 'the machine has to reboot'
    case 'careful':
      return 'the machine has to reboot, and somebody should be near'
    default:
      return unreachable(reboot)
  }
}

function pathLines(events: readonly Event[], { code }: Style): readonly string[] {
  const lines = events.slice(0, mostPaths).map(({ path, happening }) => `${happening} ${code(`/${showPath(path)}`)}`)
  const more = events.length - lines.length
  return more > 0 ? [...lines, `and ${more} more paths`] : lines
}

function stepLines(step: PostStep, { code }: Style, words: (text: string) => string): readonly string[] {
  switch (step.kind) {
    case 'run':
      return [`${words(step.name)}: ${code(step.command)}`]
    case 'script':
      return [`${words(step.name)}: a script of ${step.text.trimEnd().split('\n').length} lines`]
    case 'notice':
      return []
    default:
      return unreachable(step)
  }
}

/** Errata patches in the shapes that OpenBSD has published them in; the texts are our own. */

export type Section = { readonly heading: string; readonly commands: readonly string[] }

export type ErrataParts = {
  readonly title?: string
  readonly description?: string
  readonly sections: readonly Section[]
  readonly diff: string
}

const indent = '    '

export function errataText({ title, description, sections, diff }: ErrataParts): string {
  const head = [...(title === undefined ? [] : [`${title}\n`]), ...(description === undefined ? [] : [`${description}\n`])]
  const instructions = sections.map(({ heading, commands }) => [heading, ...commands.map((line) => indent + line), ''].join('\n'))
  return [...head, ...instructions, diff].join('\n')
}

export function signedApply(name: string, folder = '/usr/src', key = 'openbsd-74-base.pub'): Section {
  return {
    heading: 'Apply by doing:',
    commands: [`signify -Vep /etc/signify/${key} -x ${name}.patch.sig \\`, `    -m - | (cd ${folder} && patch -p0)`],
  }
}

/** As cvs diff writes it. */
export function fileDiff(path: string, old: readonly string[], now: readonly string[]): string {
  const name = (lines: readonly string[]): string => (lines.length === 0 ? '/dev/null' : path)
  const range = (lines: readonly string[]): string => `${lines.length === 0 ? 0 : 1},${lines.length}`
  return [
    `Index: ${path}`,
    '='.repeat(67),
    `RCS file: /cvs/src/${path},v`,
    'diff -u -p -r1.7 -r1.7.2.1',
    `--- ${name(old)}\t3 Mar 2023 10:00:00 -0000\t1.7`,
    `+++ ${name(now)}\t7 May 2023 11:00:00 -0000\t1.7.2.1`,
    `@@ -${range(old)} +${range(now)} @@`,
    ...old.map((line) => `-${line}`),
    ...now.map((line) => `+${line}`),
    '',
  ].join('\n')
}

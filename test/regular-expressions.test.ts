import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { analyse, type Report } from 'scslre'
import ts from 'typescript'

/**
 * A regular expression that goes back over what it has read takes the square of a long input, or worse: what reads bytes of strangers would
 * stand still. None in src does; those that could, and that never see more than is said here, are listed.
 */
const accepted: Readonly<Record<string, string>> = {
  [String.raw`/[\w-]+(?=\s|$)/`]: 'a line of rules.toml, as somebody here wrote it',
  [String.raw`/(?:"(?:[^"]|"")*"|[^ \t"][^ \t]*)(?=[ \t]|$)/g`]: 'the title of a manual page, 1,024 characters at most',
}

type Literal = { readonly where: string; readonly text: string }

function literalsOf(file: string): readonly Literal[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
  const found: Literal[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
      found.push({ where: `${file}:${line + 1}`, text: node.text })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function reportsOf(text: string): readonly Report[] {
  const end = text.lastIndexOf('/')
  return analyse({ source: text.slice(1, end), flags: text.slice(end + 1) }).reports
}

test('no regular expression takes the square of its input', () => {
  const seen = new Set<string>()
  const wrong: string[] = []
  for (const file of globSync('src/**/*.ts').sort())
    for (const { where, text } of literalsOf(file))
      for (const { type, character } of reportsOf(text)) {
        if (accepted[text] === undefined) wrong.push(`${where}: ${text}: ${type}, by ${character.pick} again and again`)
        seen.add(text)
      }
  assert.deepEqual(wrong, [])
  assert.deepEqual(
    Object.keys(accepted).filter((text) => !seen.has(text)),
    [],
  )
})

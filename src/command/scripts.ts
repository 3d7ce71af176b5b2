import { basename } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, fromUtf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { slugOf } from '../base/slug.ts'
import { postStepLimits, usualTerms } from '../format/post-step.ts'
import { openInput } from '../host/source.ts'
import type { Rules } from '../engine/update/rules.ts'
import type { StepToRun } from '../format/post-step.ts'
import type { Context } from './command.ts'

/** Whole scripts as post-steps, where the maker's rules allow such. */
export async function scriptsOf(context: Context, files: readonly string[], { scripts }: Rules): Promise<readonly StepToRun[]> {
  if (files.length > 0 && !scripts) {
    throw new BinderyError('usage', 'whole scripts are not allowed', {
      subject: files[0],
      hint: "the rules must say 'scripts = true': see bindery-rules(1)",
    })
  }
  const steps: StepToRun[] = []
  for (const file of files)
    steps.push({ kind: 'script', name: slugOf(basename(file, '.sh'), 'script'), text: await textOf(context, file), ...usualTerms })
  return steps
}

async function textOf(context: Context, file: string): Promise<string> {
  const bytes = await collectBytes(await openInput(file, context.stdin), postStepLimits.scriptBytes)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${postStepLimits.scriptBytes} bytes`, { subject: file })
  return await about(file, () => {
    try {
      const text = fromUtf8(bytes)
      if (text.trim() !== '' && !text.includes('\0')) return text
    } catch {
      // Told like the others.
    }
    throw new BinderyError('bad-format', 'is no script: UTF-8 text without NUL')
  })
}

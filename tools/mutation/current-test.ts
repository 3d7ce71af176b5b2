import { relative } from 'node:path'
import { beforeEach } from 'node:test'
import fc from 'fast-check'
import { counters } from './counters.ts'

/** Loaded as the first test file: its hook stands before every test of the run. A subtest is part of its test. */

// Whether a mutant is found must not hang on the cases that are drawn.
fc.configureGlobal({ seed: 1 })

type Context = { readonly fullName: string; readonly filePath?: string }

beforeEach((context) => {
  const { fullName, filePath = '' } = context as Context
  const id = `${relative('.', filePath)} > ${fullName}`
  const outer = counters.currentTestId
  if (outer === undefined || !id.startsWith(`${outer} > `)) counters.currentTestId = id
})

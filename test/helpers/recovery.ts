import { utf8 } from '../../src/base/bytes.ts'
import type { RecoveryProgram } from '../../src/port/recovery-program.ts'

/** Where nobody is going to run it. */
export const recovery: RecoveryProgram = async () => utf8('#!/bin/sh\n')

import { hostSandboxes } from '../src/host/sandbox.ts'
import { sandboxConformance } from './conformance/sandbox.ts'
import { needs, needsRoot } from './helpers/programs.ts'

const isolated = process.platform === 'linux'
const options = { ...needs('busybox'), ...needsRoot(), isolated }

for (const kind of ['overlay', 'snapshot', 'destdir'] as const) sandboxConformance(kind, hostSandboxes, 'src/host/sandbox.ts', options)

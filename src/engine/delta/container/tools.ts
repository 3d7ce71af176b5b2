import type { Xz } from '../../../port/xz.ts'

/** What opening and closing takes besides the engine itself. Without xz such files stay closed. */
export type ContainerTools = { readonly xz: Xz | undefined }

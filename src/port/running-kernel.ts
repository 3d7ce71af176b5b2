/** The kernel that this machine runs. */
export type RunningKernel = {
  /** What its maker called the build: `GENERIC.MP`, `ROUTER`, `cloud-amd64`. Undefined where the system does not tell. */
  name(): Promise<string | undefined>
}

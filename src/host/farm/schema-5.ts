/** A branch may be a line of releases, out of git, CVS, or a folder of errata patches. */
export const schema5: readonly string[] = [
  `alter table farm.branch add column product text`,
  `comment on column farm.branch.product is 'What it makes releases of; null for a line of packages'`,
  `alter table farm.branch drop constraint branch_source_kind`,
  `alter table farm.branch add constraint branch_source_kind check (source_kind in ('cvs', 'git', 'errata'))`,
  `comment on table farm.branch is 'The packages of a release, or the releases of a product, and who gets them'`,
  `comment on column farm.branch.source is 'Root of CVS, folder of a clone of git, or folder of errata patches'`,
  `comment on column farm.package.signature is 'The update signature, as pkg_add prints it; the name of a release'`,
]

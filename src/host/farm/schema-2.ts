/** Reports say how the last run ended; a branch may be a line of releases. */
export const schema2: readonly string[] = [
  `alter table farm.report add column last_run text not null default ''`,
  `alter table farm.report add column reboot text not null default 'none'
    constraint report_reboot check (reboot in ('none', 'reboot', 'careful'))`,
  `comment on column farm.report.last_run is 'Verb, exit status, and the code of the error that ended it'`,
  `comment on column farm.report.reboot is 'What the machine waits for'`,
]

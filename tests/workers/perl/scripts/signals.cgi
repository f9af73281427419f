#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; my $got = 0; local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 5; alarm 0 }; print "ended by $@"; $SIG{USR1} = sub { $got++ }; kill USR1 => $$; print "got $got\n"; print `sh -c 'yes | head -1'`;

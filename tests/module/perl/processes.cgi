#!/usr/bin/perl
use strict;
use warnings;
my $how = $ENV{QUERY_STRING};
$| = 1;
print "Content-Type: text/plain\n\n";
if ($how eq 'fork') { for my $n (1 .. 3) { my $pid = fork // die; if (!$pid) { print "child $n\n"; exit $n } waitpid $pid, 0; print "ended with ", $? >> 8, "\n" } print wait, "\n" }
elsif ($how eq 'signal') { my $pid = fork // die; if (!$pid) { sleep 20; exit } kill 9, $pid; waitpid $pid, 0; print "signal ", $? & 127, "\n" }
elsif ($how eq 'chld') { my $seen = 0; local $SIG{CHLD} = sub { 1 while waitpid(-1, 1) > 0; $seen++ }; my $pid = fork // die; exit 0 if !$pid; for (1 .. 500) { last if $seen; select undef, undef, undef, 0.01 } print "seen $seen\n" }
elsif ($how eq 'ignore') { local $SIG{CHLD} = 'IGNORE'; system 'true'; print "$?\n"; my $pid = fork // die; exit 0 if !$pid; print waitpid($pid, 0), "\n" }
elsif ($how eq 'pipe') { pipe my $r, my $w or die; my $pid = fork // die; if (!$pid) { close $r; print $w "through\n"; exit } close $w; print <$r>; wait; print "$?\n" }
elsif ($how eq 'alarm') { local $SIG{ALRM} = sub { die "late\n" }; eval { alarm 1; sleep 10; alarm 0 }; print "alarm: $@"; print alarm(0), "\n" }
elsif ($how eq 'sleep') { my $slept = sleep 1; print $slept >= 1 ? "slept\n" : "not\n" }
elsif ($how eq 'exec') { exec 'echo', 'from exec' }
elsif ($how eq 'exec-fails') { no warnings; exec '/nonexistent' or print "could not: ", $! + 0, "\n" }
elsif ($how eq 'grandchild') { my $pid = fork // die; if (!$pid) { my $own = fork // die; if (!$own) { print "grandchild\n"; exit 0 } waitpid $own, 0; print "child\n"; exit 0 } waitpid $pid, 0; print "parent\n" }
elsif ($how eq 'posix') { require POSIX; my $pid = fork // die; if (!$pid) { print "before _exit\n"; POSIX::_exit(6) } waitpid $pid, 0; print $? >> 8, "\n" }
elsif ($how eq 'die') { my $pid = fork // die; if (!$pid) { die "in the child\n" } waitpid $pid, 0; print $? >> 8, "\n" }
elsif ($how eq 'end') { my $pid = fork // die; if (!$pid) { print "leaving\n"; exit 0 } waitpid $pid, 0; print "left\n" }
elsif ($how eq 'environment') { $ENV{GIVEN} = 'x y'; delete $ENV{QUERY_STRING}; local $ENV{LOCAL} = 1; print `echo "\$GIVEN \$LOCAL [\$QUERY_STRING] \$REQUEST_METHOD"`; chdir '/'; print `pwd` }
END { print "END in $$\n" if $how eq 'nothing'; print "END\n" if $how eq 'end' }

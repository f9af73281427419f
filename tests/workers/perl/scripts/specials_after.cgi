#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; use Cwd; print cwd() eq ($0 =~ m{^(.*)/})[0] ? "in its folder\n" : "elsewhere\n"; printf "%04o %s %s %s %d\n", umask, map({ $_ // "undef" } @SIG{qw(ALRM INT)}), scalar(@INC) < 20 ? "ok" : "grown", alarm 0; warn "seen\n";

#!/usr/bin/perl
$| = $ENV{QUERY_STRING} eq "flush" ? 1 : 0;
print "Content-Type: text/plain\n\n", "one\n"; system("echo two"); print "three\n"; print `echo four`;
open(my $pipe, "|-", "tr a-z A-Z") or die; print $pipe "five\n"; close $pipe; print "six\n";
my $pid = fork // die; if (!$pid) { print "seven\n"; exit 7 } waitpid $pid, 0; print "eight ", $? >> 8, "\n";
system("seq 1 40000"); print "nine\n"; system { "/bin/sh" } "sh", "-c", "echo ten; exit 2"; print $? >> 8, "\n";

#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; print "buffered\n"; syswrite STDOUT, "Content-Type: text/html\n\nunbuffered first\n" if $ENV{QUERY_STRING}; $| = 1; print "flushed\n"; my $n = syswrite STDOUT, "0123456789", 4, 3; syswrite(STDOUT, "\n"); syswrite STDOUT, "ab\n", 3, -3; print "$n\n"; printf("%05d\n", 42);

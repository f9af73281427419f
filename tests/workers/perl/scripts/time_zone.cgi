#!/usr/bin/perl
use POSIX (); print "Content-Type: text/plain\n\n"; for my $zone ("America/New_York", "Asia/Tokyo", "UTC") { $ENV{TZ} = $zone; POSIX::tzset(); print scalar localtime(86400 * 200), "\n" }

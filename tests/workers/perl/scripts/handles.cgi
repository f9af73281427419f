#!/usr/bin/perl
print "Content-Type: text/plain\n\nstart\n"; open(my $save, ">&", \*STDOUT) or die; close STDOUT; my $text = ""; open(STDOUT, ">", \$text) or die; print "caught\n"; close STDOUT; open(STDOUT, ">&", $save) or die; print "restored: $text";
open(my $same, ">&=", 1) or die; print $same "same\n"; close $same if $ENV{QUERY_STRING}; print STDOUT "more\n" unless $ENV{QUERY_STRING};

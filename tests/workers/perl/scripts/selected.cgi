#!/usr/bin/perl
my $text = ""; open(my $file, ">", \$text); my $old = select $file; $| = 1; print "into the file\n"; select $old; print "Content-Type: text/plain\n\n$text"; select $file;

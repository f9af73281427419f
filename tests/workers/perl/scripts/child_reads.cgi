#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; $| = 1; print "body: "; system("cat"); print "\nrest: ", (<STDIN> // "none"), "\n";

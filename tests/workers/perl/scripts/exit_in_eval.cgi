#!/usr/bin/perl
print "Content-Type: text/plain\n\nbefore\n"; eval { print "in\n"; exit 3 }; print "never: $@\n";

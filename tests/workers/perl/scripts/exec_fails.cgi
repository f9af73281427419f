#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; { no warnings; exec "/nonexistent/program"; } print "still here\n";

#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; $| = 1; print "then\n"; $ENV{GIVEN} = "given"; exec "/bin/sh", "-c", 'echo $GIVEN $REQUEST_METHOD; cat; exit 4'; 

#!/usr/bin/perl
$| = 1; print "Content-Type: text/plain\n\n"; open(STDERR, ">&STDOUT"); print STDERR "errors in the page\n"; warn "a warning\n"; system("echo from a child >&2"); open(STDOUT, ">", "/dev/null"); print "lost\n"; system("echo lost too");

#!/usr/bin/perl
BEGIN { $SIG{__WARN__} = sub { print STDERR "handled: @_" }; $SIG{__DIE__} = sub { print "died: $_[0]" } } print "Content-Type: text/plain\n\n"; warn "one\n"; die "two\n";

#!/usr/bin/perl
package main; use Carp; sub f { return join "|", map { defined ? $_ : "undef" } (caller(0))[1, 2] } sub g { return defined caller(1) ? "deep" : "top" } sub level { my $n = 0; $n++ while defined caller $n; $n }
print "Content-Type: text/plain\n\n"; print f(), " ", g(), " ", level(), " ", (defined caller() ? "called" : "run"), "\n"; my @c = caller; print scalar(@c), "\n"; run() unless caller; sub run { print "run ", level(), "\n" } 

#!/usr/bin/perl
package Upper; sub TIEHANDLE { bless [], shift } sub PRINT { shift; print { *::STDERR } ""; $main::out .= uc join "", @_; 1 } package main; our $out = ""; tie *MINE, "Upper"; print MINE "shout"; print "Content-Type: text/plain\n\n$out\n"; 

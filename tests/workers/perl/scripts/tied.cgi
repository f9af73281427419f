#!/usr/bin/perl
package Upper; sub TIEHANDLE { bless [], shift } sub PRINT { shift; print { *::STDERR } ""; $all .= uc join "", @_; 1 } our $all = ""; package main;  tie *MINE, "Upper"; print MINE "shout"; print "Content-Type: text/plain\n\n$Upper::all\n"; 

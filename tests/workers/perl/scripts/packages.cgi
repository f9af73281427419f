#!/usr/bin/perl
package Shop::Cart; our $count = 0; sub new { bless { id => ++$count }, shift } sub id { $_[0]{id} }
package main;
my $cart = Shop::Cart->new; print "Content-Type: text/plain\n\n"; print "cart ", (helper($cart) > 0 ? "yes" : "no"), "\n"; sub helper { return $_[0]->id }

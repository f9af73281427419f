# PSGI by itself; Mojolicious, Dancer and Catalyst have such a file, too.
use strict;
use warnings;

sub {
    my $env = shift;
    return [200, ['Content-Type' => 'text/plain; charset=utf-8'], ["hello from Perl, for $env->{PATH_INFO}\n"]];
};

#!/usr/bin/perl
# Plack's own test suite for servers, against one that listens on the port: plack_suite.pl PORT [PATH]
use strict;
use warnings;
use Plack::Test::Suite;
use Test::More;
my ($port, $path) = @ARGV;
$ENV{PLACK_TEST_SCRIPT_NAME} = $path // '';
# The process that it starts as "server" has nothing to do: the port is served already.
Plack::Test::Suite->run_server_tests(sub { sleep 100 }, $port);
done_testing;

#!/usr/bin/perl
print "Content-Type: text/plain\n\n";
print map { "$_=$ENV{$_}\n" } sort grep { !/^(PATH|_|SHLVL|PWD|OLDPWD|LC_|LANG)/ } keys %ENV;
$ENV{FROM_SCRIPT} = "x y"; delete $ENV{SERVER_SOFTWARE}; local $ENV{LOCAL} = "l";
print `env | grep -v -e '^_=' -e '^PWD' -e '^SHLVL' -e '^OLDPWD' | sort`; system("echo \$QUERY_STRING \$FROM_SCRIPT \$LOCAL [\$SERVER_SOFTWARE]");

<?php
$child = pcntl_fork();
if ($child === 0) {
    echo 'of the child';
    if (isset($_GET['exit'])) {
        exit(3);
    }
} else {
    pcntl_waitpid($child, $status);
    echo 'of the parent ', pcntl_wexitstatus($status);
}

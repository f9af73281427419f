<?php
echo 'before';
exit((int) $_GET['status']);

<?php
undefined_function();
